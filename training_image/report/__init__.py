"""What people look at before they trust a challenger: numbers, pictures, a page and a card, all from one value."""
