"""Options: chains and strikes, what they are worth, how volatile, and what legs of them earn."""
