"""What does `slipway up` start? A folder's tracking server and its scoring servers."""
