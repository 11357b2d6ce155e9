"""Who answers, and how? From a decoded request to an outcome."""
