"""Complete the look: features of scenes and products, training recipes, and the evaluation protocols."""
