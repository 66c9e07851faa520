"""checkout: a version becomes a model directory again."""
