"""Values and mathematics: no file, no clock, no subprocess, no global random state."""
