/* Decodes a window of a JPEG as plainly as libjpeg-turbo can: the bound for input.decode_limit. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>

struct failing { struct jpeg_error_mgr base; jmp_buf out; };

static void leave(j_common_ptr info) { longjmp(((struct failing *)info->err)->out, 1); }

/* Writes the rows of the window, with the columns up to the next block's edges, into `rows`, which
   must hold height * picture_width * 3 bytes. Returns the bytes written, 0 where it fails. */
long crop_decode(const unsigned char *bytes, unsigned long size, unsigned top, unsigned left,
                 unsigned height, unsigned width, unsigned char *rows) {
  struct jpeg_decompress_struct info;
  struct failing error;
  info.err = jpeg_std_error(&error.base);
  error.base.error_exit = leave;
  if (setjmp(error.out)) { jpeg_destroy_decompress(&info); return 0; }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes, size);
  jpeg_read_header(&info, TRUE);
  info.out_color_space = JCS_RGB;
  info.dct_method = JDCT_ISLOW;
  jpeg_start_decompress(&info);
  JDIMENSION first = left, columns = width;
  jpeg_crop_scanline(&info, &first, &columns);
  if (top) jpeg_skip_scanlines(&info, top);
  unsigned char *row = rows;
  for (unsigned done = 0; done < height;) {
    unsigned got = jpeg_read_scanlines(&info, &row, 1);
    row += (unsigned long)got * columns * 3;
    done += got;
  }
  jpeg_abort_decompress(&info);
  jpeg_destroy_decompress(&info);
  return row - rows;
}
