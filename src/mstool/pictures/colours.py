"""Colours that people with any colour vision can tell apart (Okabe and Ito, 2008)."""

BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
YELLOW = "#F0E442"
GREY = "#808080"
SKY = "#56B4E9"
PURPLE = "#CC79A7"
BLACK = "#000000"

SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK)  # of lines and dots in one panel
