"""Which steps of a padded batch hold data."""

import numpy as np


def padding_mask(x, mask_value=0.0):
    """Find padded steps by their value, as Keras's ``Masking`` does.

    Parameters
    ----------
    x : array, (batch, seq_len, features) or (seq_len, features)
    mask_value : float, default=0.0
        What padded steps are filled with; may be NaN.

    Returns
    -------
    mask : bool array, (batch, seq_len) or (seq_len,)
        False where every feature of a step equals ``mask_value``.

    Raises
    ------
    ValueError
        If ``x`` has neither of these shapes, or ``mask_value`` is not one number.

    Examples
    --------
    >>> from lstm_numba import padding_mask
    >>> padding_mask([[[1, 2], [0, 5], [0, 0]]])
    array([[ True,  True, False]])
    """
    x = np.asarray(x)
    if x.ndim not in (2, 3):
        raise ValueError(
            "x must have the shape (batch, seq_len, features) or (seq_len, features), but has "
            f"{x.ndim} dimensions (shape={x.shape})."
        )
    if not np.isscalar(mask_value) or isinstance(mask_value, str):
        raise ValueError(f"mask_value must be one number. Got {mask_value!r} instead.")
    padded = np.isnan(x) if np.isnan(mask_value) else x == mask_value
    return ~padded.all(axis=-1)
