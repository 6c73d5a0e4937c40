"""How the models of this folder are made: a module for each, and what they share."""
