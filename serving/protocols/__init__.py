"""What do bytes mean? A folder for each protocol: requests become a `Table`, predictions bytes."""
