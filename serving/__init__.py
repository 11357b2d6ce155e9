"""From a stage to an answer: the steps serve and observe."""
