"""What records say: time to accuracy, which runs may be pooled, how rigs compare, what a training costs."""
