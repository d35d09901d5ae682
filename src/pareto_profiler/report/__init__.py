"""What is said of a recording, and how it is shown."""
