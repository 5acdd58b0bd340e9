"""What an uploader says about an object beside its bytes, as metadata of the object."""

AGAIN = "serin-again"
"""Who asks for the rows to be counted although the same content was counted before."""
