"""Makes the images of this folder and expected.npz: what Pillow makes of them (Debian's python3-pil 9.4, python3-numpy). Run in this folder."""
import numpy as np
from PIL import Image, ImageOps

rng = np.random.default_rng(5)
y, x = np.mgrid[0:23, 0:37]
smooth = np.stack([6 * x + 20, 9 * y + 30, 3 * x + 5 * y], -1)
rgb = np.clip(smooth + rng.integers(-40, 40, smooth.shape), 0, 255).astype(np.uint8)
image = Image.fromarray(rgb)
alpha = Image.fromarray(np.dstack([rgb, rng.integers(0, 256, rgb.shape[:2], np.uint8)]), 'RGBA')
grey = image.convert('L')
grey16 = (np.asarray(grey).astype(np.uint16) << 8) + 77

image.save('rgb.png'); image.save('rgb.bmp'); image.save('rgb.tif', compression='tiff_lzw')
image.save('lossless.webp', lossless=True)
alpha.save('alpha.png'); alpha.save('alpha.webp', lossless=True, exact=True)
grey.save('grey.png'); Image.fromarray(grey16).save('grey16.png')
image.quantize(40).save('palette.gif')
image.save('photo.jpg', quality=95, subsampling=0)
image.convert('CMYK').save('cmyk.jpg', quality=95)
image.convert('CMYK').save('cmyk.tif')
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(f'turned{orientation}.png', exif=exif)
exif = Image.Exif(); exif[0x0112] = 6
image.save('turned.jpg', quality=95, subsampling=0, exif=exif)
image.save('turned.webp', lossless=True, exif=exif.tobytes())

names = ['rgb.png', 'rgb.bmp', 'rgb.tif', 'lossless.webp', 'alpha.png', 'alpha.webp', 'grey.png', 'palette.gif', 'photo.jpg', 'cmyk.jpg', 'cmyk.tif',
         'turned.jpg', 'turned.webp'] + [f'turned{o}.png' for o in range(1, 9)]
out = {n: np.asarray(ImageOps.exif_transpose(Image.open(n)).convert('RGB')) for n in names}
out['grey16.png'] = np.repeat((grey16 >> 8).astype(np.uint8)[..., None], 3, -1)
for name, filter in (('bilinear', Image.BILINEAR), ('bicubic', Image.BICUBIC)):
    for w, h in ((16, 9), (37, 9), (16, 23), (50, 40), (5, 60), (1, 1), (36, 22)):
        out[f'{name}-{w}x{h}'] = np.asarray(image.resize((w, h), filter))
        out[f'{name}-grey-{w}x{h}'] = np.asarray(grey.resize((w, h), filter))[..., None]
np.savez_compressed('expected.npz', **{k: np.ascontiguousarray(v) for k, v in out.items()})
