"""What clients speak: each module turns bytes into a `Table` and predictions into bytes, and knows no network."""
