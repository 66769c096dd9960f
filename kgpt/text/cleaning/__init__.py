"""Cleaning of documents, step by step, as the user lists the steps."""

from kgpt.text.cleaning.cleaner import Cleaned, Cleaner, describe_steps, step_names

__all__ = ["Cleaned", "Cleaner", "describe_steps", "step_names"]
