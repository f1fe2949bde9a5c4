// Moving pixels about as Pillow 13 does with its nearest filter, bit for bit. What comes in from outside is black.
#pragma once
#include "capstan/image/image.h"

namespace capstan {

// The part of `image` that begins at (top, left); it lies inside and is at least 1x1.
Image crop(const Image& image, int top, int left, int height, int width);

void flip_horizontal(Image& image);
void translate(Image& image, int right, int down);  // in pixels; negative: to the left, up

// Row y is moved to the left by factor * y pixels; column x up by factor * x.
Image shear_x(const Image& image, double factor);
Image shear_y(const Image& image, double factor);

// Image.rotate: counter clockwise around the centre; the size stays.
Image rotate(const Image& image, double degrees);

}  // namespace capstan
