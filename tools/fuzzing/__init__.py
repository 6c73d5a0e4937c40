"""What tools/fuzz.py is made of: mutations, cases, and the processes that they run in."""
