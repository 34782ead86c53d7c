"""Whether explanations can be believed: controls, similarity, faithfulness, counterfactuals."""
