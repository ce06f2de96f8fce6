"""Mutation tests of the learning: `make mutants`."""
