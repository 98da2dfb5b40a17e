"""Inputs as the world writes them: small files made from public documentation, each with the right value or refusal."""
