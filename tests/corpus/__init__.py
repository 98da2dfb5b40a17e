<<<<<<< HEAD
"""Inputs as the world writes them: small files made from public documentation, each with the right value or refusal."""
=======
"""Inputs as the programs of the field write them, each with what is right."""
>>>>>>> corpusx
