"""How is the rule kept on a team's server? The API, and what starts it."""
