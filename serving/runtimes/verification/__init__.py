"""Does what we compiled answer as the model does? Rows made to tell them apart, and what a runner costs."""
