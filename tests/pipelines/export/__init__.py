"""Exports of saved explanations."""
