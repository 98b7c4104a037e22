"""What is shown, without anything that draws: one file per tab."""
