"""Loss and profit limits of the day: when they are reached and what follows."""
