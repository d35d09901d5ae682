"""What ships: an assignment in the forms that devices, applications and schedulers take."""
