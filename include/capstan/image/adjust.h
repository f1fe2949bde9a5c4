// Changes of grey levels and colours as Pillow 13 makes them (ImageEnhance, ImageOps), in place and bit for bit: the
// arithmetic is Pillow's, single precision and truncation included. A compiler that fuses multiply and add (not x86-64
// without -march) may move a sample by one grey level.
#pragma once
#include "capstan/image/image.h"

namespace capstan {

// ImageEnhance: 0 is black, a grey plane, grey or smoothed; 1 is the picture itself; more exaggerates, less than 0
// inverts. `factor` is rounded to single precision.
void adjust_brightness(Image& image, double factor);
void adjust_contrast(Image& image, double factor);
void adjust_saturation(Image& image, double factor);  // ImageEnhance.Color
void adjust_sharpness(Image& image, double factor);

// Turns the hue by `shift` of the full circle, -0.5 to 0.5, through Pillow's 8-bit HSV as torchvision's adjust_hue does
// for Pillow's pictures. The way there and back loses a little even when `shift` is 0.
void adjust_hue(Image& image, double shift);

// ImageOps.
void posterize(Image& image, int bits);         // keeps the upper 1..8 bits of each sample
void solarize(Image& image, double threshold);  // inverts samples that are not below `threshold`
void autocontrast(Image& image);                // stretches each channel to 0..255
void equalize(Image& image);                    // flattens the histogram of each channel

}  // namespace capstan
