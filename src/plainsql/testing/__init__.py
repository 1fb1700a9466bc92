"""For those who test: what every dialect must pass, as pytest tests.

Floor 4: uses the front doors like any user.
"""
