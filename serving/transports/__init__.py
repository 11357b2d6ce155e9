"""How do bytes come in and go out? A folder for each transport."""
