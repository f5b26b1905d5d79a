"""Pictures with known truth, and the cases and scores made from them."""
