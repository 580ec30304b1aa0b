"""How to speak with the broker: options, security, offsets, the sending side."""
