"""Who serves what? What serving engines say of themselves."""
