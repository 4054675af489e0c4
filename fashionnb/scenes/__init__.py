"""Complete the look: features of scenes and products, training recipes, evaluation protocols."""
