"""How commands and files reach a target."""
