"""Tools of the chapters: recorded results, claims, figures, interactive maps, quizzes."""
