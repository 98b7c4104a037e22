"""The page: one file per tab, each made of Bokeh's widgets around a state."""
