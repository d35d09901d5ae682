"""Simulated devices: searches and samplers are tried on them."""
