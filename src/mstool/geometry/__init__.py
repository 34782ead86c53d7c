"""Windows, grids, blending and resampling of tiles; numpy only."""
