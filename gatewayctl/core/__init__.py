"""The pure core: values in, values out. No clock, random source, file, socket or log in here."""
