"""How the trainings went: rates, gradients, stopping and costs."""
