! The merger-like cell NSM1 from Fortran. Arrays are (flavor, matter, component, cell): the reverse of C's order.
module emulant_flavor
  use, intrinsic :: iso_c_binding, only: c_int, c_size_t, c_double, c_int8_t
  implicit none
  integer, parameter :: nf = @NF@
  interface
    integer(c_int) function emulant_flavor_predict(n, f4_initial, f4_final, growth_rate, stable, status) &
        bind(c, name="emulant_flavor_predict")
      import :: c_int, c_size_t, c_double, c_int8_t
      integer(c_size_t), value :: n
      real(c_double), intent(in) :: f4_initial(*)
      real(c_double), intent(inout) :: f4_final(*)
      real(c_double), intent(out) :: growth_rate(*)
      integer(c_int8_t), intent(out) :: stable(*), status(*)
    end function
  end interface
end module

program example
  use emulant_flavor
  implicit none
  real(c_double) :: f4(nf, 2, 4, 1), after(nf, 2, 4, 1), growth(1), n, factor(3, 2), heavy(3)
  integer(c_int8_t) :: stable(1), status(1)
  integer :: invalid, s, a, m
  factor = reshape([0.0974d0, 0.0421d0, -0.1343d0, 0.0723d0, 0.0313d0, -0.3446d0], [3, 2])
  heavy = [-0.0216d0, 0.0743d0, -0.5354d0]
  do s = 1, 2
    do a = 1, nf
      n = merge(merge(14.22d32, 19.15d32, s == 1), 19.65d32 / (2 * (nf - 1)), a == 1)
      f4(a, s, 4, 1) = n
      do m = 1, 3
        f4(a, s, m, 1) = n * merge(factor(m, s), heavy(m), a == 1)
      end do
    end do
  end do
  invalid = emulant_flavor_predict(1_c_size_t, f4, after, growth, stable, status)
  print '(a,i0,a,i0,a,i0,a,es22.15)', "invalid ", invalid, " status ", status(1), " stable ", stable(1), " growth ", growth(1)
  do s = 1, 2
    do a = 1, nf
      print '(4es23.15)', after(a, s, :, 1)
    end do
  end do
  if (invalid /= 0) stop 1
end program
