"""Exercise 2.2: students with and without a teacher."""
