"""Who measures assignments."""
