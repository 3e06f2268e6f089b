"""From a distilled student's scores to people's opinions, with few labels."""
