"""Figures from arrays: titles, units, legends, colours that everybody can tell apart."""
