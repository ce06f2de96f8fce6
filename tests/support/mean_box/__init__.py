"""A fourth detector, as somebody would add it: its options, its package, and a program that uses it."""
