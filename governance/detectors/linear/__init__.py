"""Small linear models over hashed n-grams and word classes: features, weights, scoring. numpy only, no pickle."""
