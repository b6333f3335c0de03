"""Wire bytes in, values out, and back: every protocol that is spoken here. Pure."""
