"""Runs as files: journals, packed and flat tables, the original's formats."""
